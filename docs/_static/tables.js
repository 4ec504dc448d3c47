// Gives each cell the header of its column, which site.css shows on small screens.
for (const table of document.querySelectorAll("table.docutils")) {
  const headers = [...table.querySelectorAll("thead th")].map((header) => header.textContent);
  if (headers.length < 3) continue; // two columns explain themselves
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].slice(1).forEach((cell, column) => (cell.dataset.header = headers[column + 1]));
  }
}
