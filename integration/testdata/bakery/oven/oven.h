int minutes(int grams, int celsius);
