int scale(int n, int grams);
