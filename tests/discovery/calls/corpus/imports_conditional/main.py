try:
    from missing_module_of_nobody import work
except ImportError:
    from other import work

work()
