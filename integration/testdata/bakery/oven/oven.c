#include "oven.h"

int minutes(int grams, int celsius) { return 10 * grams / celsius; }
