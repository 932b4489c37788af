// Runs before the first paint, so that a chosen theme does not flash. A classic script: modules run later.
try {
  const theme = localStorage.getItem("ferstream-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  /* storage is blocked: the system's theme */
}
