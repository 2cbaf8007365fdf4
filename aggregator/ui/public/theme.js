// Runs before the first paint, so that a chosen theme never flashes the other one.
try {
  var theme = localStorage.getItem('petrel.theme')
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme
} catch (e) {
  // Storage may be forbidden; the system's preference then decides.
}
