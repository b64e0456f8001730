"use strict";
// A click on a heading sorts its table, a second one the other way round; dashes stay at the end.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentNode.children) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[heading.cellIndex].dataset.key;
    const compare = (a, b) => {
      const numbers = [Number(a), Number(b)];
      const both = numbers.every((number) => !Number.isNaN(number));
      return both ? numbers[0] - numbers[1] : a.localeCompare(b, undefined, { numeric: true });
    };
    const rows = [...body.rows].sort((first, second) => {
      const [a, b] = [key(first), key(second)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return down ? compare(b, a) : compare(a, b);
    });
    body.append(...rows);
  });
}
