"""kernel.classifier.v1: a support vector machine on a kernel that circuits measure."""
