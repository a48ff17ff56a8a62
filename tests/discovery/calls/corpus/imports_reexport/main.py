from facade import Tool

Tool().run()
