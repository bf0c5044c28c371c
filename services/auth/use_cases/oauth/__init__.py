"""Connecting by OAuth: begin, start, park, complete; whoever began must finish, and one token request is made."""
