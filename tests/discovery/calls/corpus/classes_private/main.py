class Thing:
    def __hidden(self):
        pass

    def run(self):
        self.__hidden()


Thing().run()
