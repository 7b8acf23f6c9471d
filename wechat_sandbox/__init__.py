"""A stand-in for the WeChat platform: login, messages and WeChat Pay on 127.0.0.1.

One process answers as ``api.weixin.qq.com`` and ``api.mch.weixin.qq.com`` do, with real
cryptography and throw-away keys. It shares no code with the product: a mistake made twice in
shared code would hide itself.
"""
