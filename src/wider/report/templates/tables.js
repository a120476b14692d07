const words = new Intl.Collator("en");

// Of cells such as 3,970 or 96.27% ± 0.15; null of others.
function numberIn(text) {
  const first = text.split(" ")[0].replace(/[,%+]/g, "").replace("\u2212", "-");
  return first === "" || Number.isNaN(Number(first)) ? null : Number(first);
}

function compare(first, second) {
  if (first.number !== null && second.number !== null) return first.number - second.number;
  return words.compare(first.text, second.text);
}

function sortBy(table, column, heading) {
  const direction = heading.ariaSort === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => {
    const text = row.cells[column].textContent;
    return { row, text, number: numberIn(text), missing: text === "-" };
  });
  // What is missing comes last, either way.
  rows.sort((first, second) => first.missing - second.missing || sign * compare(first, second));
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

for (const table of document.querySelectorAll("table.numbers")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(table, column, heading));
    heading.replaceChildren(button);
  });
}

const search = document.getElementById("search");
// Words between single spaces, and no commas in numbers.
function plain(text) {
  return ` ${text.toLowerCase().replace(/(\d),(?=\d)/g, "$1").replace(/[\s{}":]+/g, " ").trim()} `;
}

const allRuns = [...document.querySelectorAll("#all-runs tbody tr")].map((row) => [
  plain([...row.cells].map((cell) => cell.textContent).join(" ")),
  row,
]);

function filter() {
  // A number has to be there as a whole, or 80 would find 9.80% as well.
  const words = plain(search.value).trim().split(" ").map((word) => (/^[\d.]+$/.test(word) ? ` ${word} ` : word));
  let matches = 0;
  for (const [text, row] of allRuns) {
    row.hidden = !words.every((word) => text.includes(word));
    matches += !row.hidden;
  }
  const counts = [matches, allRuns.length].map((count) => count.toLocaleString("en"));
  document.getElementById("matches").textContent = `${counts[0]} of ${counts[1]} runs`;
}

search.form.hidden = false;
search.form.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", filter);
filter();
