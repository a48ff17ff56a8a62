"""Events become a Summary, and both become words, drawings and documents."""
