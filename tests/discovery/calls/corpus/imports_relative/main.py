from package.sub.deep import work

work()
