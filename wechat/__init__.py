"""The platform adapter: clients, crypto, parsing. WeChat's words stay in here."""
