"""Why a store does not start. Each message says what is wrong and what to do about it."""


class StorageRefused(Exception):
    """The store will not start; nothing was changed."""


class DatabaseInUse(StorageRefused):
    """Another process has the database open for writing."""


class DatabaseTooNew(StorageRefused):
    """A newer release has migrated the database; this one cannot know what it means."""


class MigrationChanged(StorageRefused):
    """A migration that was applied is not the one that this release ships under its number."""


class NotDurable(StorageRefused):
    """The database engine does not give the durability that an acknowledged write needs."""
