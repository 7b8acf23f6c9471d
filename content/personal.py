"""Teachers are public: name and picture stand on every course."""

from kernel.personal import Form, register

register("content_creator", Form.NAMESAKE, "nickname", "avatar_url")
