"""What the application imports, on every host."""


def length(word):
    return len(word)
