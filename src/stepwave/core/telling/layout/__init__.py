"""Where the steps of a drawing stand: a layered layout in which no edge crosses a step."""
