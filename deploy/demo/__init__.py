"""The demonstration: one period of the index played whole, as its people and systems would, through their own doors."""
