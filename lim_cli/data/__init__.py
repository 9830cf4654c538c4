"""What the models learn from: procedural animated objects, rigged assets, posed scene folders."""
