"""What the feed tells Prometheus."""

from prometheus_client import Counter, Histogram

feeds = Counter(
    "kpay_feed_total",
    "Feeds served, by surface and by the step that answered (model, popular, newest)",
    ["surface", "step"],
)
model_loads = Counter("kpay_model_loads_total", "Models taken up by web workers", ["result"])
feed_seconds = Histogram(
    "kpay_feed_seconds",
    "Seconds a feed took in this process",
    buckets=(0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2),
)
