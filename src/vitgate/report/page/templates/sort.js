"use strict";
// Turns the headings of each sortable table into buttons; without a script the table stands in its own order.
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const original = [...table.tBodies[0].rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!("key" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.key === "" ? null : Number(cell.dataset.key);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  const sort = (column) => {
    const order = NEXT[headings[column].getAttribute("aria-sort") ?? "none"];
    for (const heading of headings) heading.removeAttribute("aria-sort");
    if (order === "none") return table.tBodies[0].append(...original);
    headings[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const known = original.filter((row) => key(row, column) !== null);
    const missing = original.filter((row) => key(row, column) === null);
    known.sort((a, b) => sign * compare(key(a, column), key(b, column)));
    table.tBodies[0].append(...known, ...missing);
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });
}
