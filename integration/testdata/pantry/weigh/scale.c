#include "scale.h"

int scale(int n, int grams) { return n * grams; }
