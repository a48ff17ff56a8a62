from maker import Tool
