class Steps:
    def __getitem__(self, index):
        if index > 2:
            raise IndexError
        return one

    def __len__(self):
        return 3


def one():
    pass


for step in Steps():
    step()
