"""A page that counts its visitors, each of them once."""
