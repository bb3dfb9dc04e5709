"""mailmig plans and tracks mailbox moves from old Exchange servers into a DAG."""

__version__ = "0.1.0"
