"use strict";
// Sorts a table by a column when its heading is pressed, and shows the rows that fit the filters. The page is complete without it.
for (const heading of document.querySelectorAll("table.ranking thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const row = heading.parentNode, body = heading.closest("table").tBodies[0];
    const column = [...row.children].indexOf(heading), down = heading.getAttribute("aria-sort") !== "descending";
    for (const other of row.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => {
      const cell = line.children[column], number = parseFloat(cell.dataset.value);
      return Number.isNaN(number) ? cell.textContent.trim() : number;
    };
    const compare = (one, other) => {
      const [a, b] = [key(one), key(other)];
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return (typeof a === "number" ? b - a : a.localeCompare(b)) * (down ? 1 : -1);
    };
    body.append(...[...body.rows].sort(compare));
  });
}
const filters = document.querySelector("form.filters");
if (filters) {
  filters.hidden = false;
  filters.addEventListener("change", () => {
    const wanted = [...filters.elements].filter((field) => field.value).map((field) => [field.name, field.value]);
    for (const line of document.querySelectorAll("table.ranking tbody tr")) {
      line.hidden = !wanted.every(([name, value]) => line.dataset[name] === value);
    }
    for (const board of document.querySelectorAll("article")) {
      board.hidden = Boolean(filters.elements.board.value) && board.id !== filters.elements.board.value;
    }
  });
}
