"use strict";
// Turns the headings of each sortable table into buttons; without a script the table stands in its own order.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    return "key" in cell.dataset ? (cell.dataset.key === "" ? null : Number(cell.dataset.key)) : cell.textContent.trim();
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  const sort = (column) => {
    const direction = headings[column].getAttribute("aria-sort");
    const next = { ascending: "descending", descending: null }[direction] === undefined
      ? "ascending" : { ascending: "descending", descending: null }[direction];
    for (const heading of headings) heading.removeAttribute("aria-sort");
    if (next === null) return body.append(...original);
    headings[column].setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const missing = original.filter((row) => key(row, column) === null);
    const rows = original.filter((row) => key(row, column) !== null);
    rows.sort((a, b) => sign * compare(key(a, column), key(b, column)));
    body.append(...rows, ...missing);
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });
}
