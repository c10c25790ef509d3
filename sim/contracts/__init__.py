"""The contracts that members of the shelves fulfil; read these first."""
