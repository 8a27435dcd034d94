"""Where events go: the delivery that all receivers share, and one module for each kind of receiver."""
