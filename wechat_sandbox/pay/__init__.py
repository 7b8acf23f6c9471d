"""WeChat Pay v3 as api.mch.weixin.qq.com runs it."""
