package integration

// raceEnabled is gone once no test asks for it: see whole.
const raceEnabled = false
