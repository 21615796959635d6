"""Who may call: operators, their clients, devices and service accounts, and what proves it.

A *principal* is who calls. It proves itself with an id and a *secret*, of which only a keyed hash
(the *verifier*) is kept, and gets a *token* for 24 hours. Everything that a call needs is in
memory, loaded at start and changed only after the commit that made the change durable; revoking a
principal bites at the next use of its tokens.

Also here, because they hang on the same keys: the vault, which keeps vehicle identification
numbers under a key of their own each, and finds them by a blind index.
"""
