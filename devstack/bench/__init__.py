"""`make bench`: ratios of one run, peers and floors measured beside the product.

Sections stand in modules of their own: feed, memory, notify, training, growth. Each returns
lines for one table; nothing here touches the demo's database or models.
"""
