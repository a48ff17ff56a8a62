class Button:
    def __init__(self, on_click):
        self.on_click = on_click

    def click(self):
        self.on_click(self)


class Window:
    def __init__(self):
        self.button = Button(self.clicked)

    def clicked(self, button):
        self.close()

    def close(self):
        pass


Window().button.click()
