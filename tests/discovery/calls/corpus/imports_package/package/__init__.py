from .inner import work as start
