"""Who a person is: users, platform identities, tokens, roles."""
