"""Why a tensor operation is no part of a cell: raised where it is found, placed by who walks."""

__all__ = ["RefusalError"]


class RefusalError(Exception):
    """An operation has no meaning in a cell; becomes a `CellError` with the user's source line."""
