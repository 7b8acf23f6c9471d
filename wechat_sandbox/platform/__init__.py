"""api.weixin.qq.com: mini-program and official account server APIs."""
