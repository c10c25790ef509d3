"use strict";
document.documentElement.classList.add("live");

function compared(a, b) {
  const x = Number(a.replace("inf", "Infinity")), y = Number(b.replace("inf", "Infinity"));
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x < y ? -1 : x > y ? 1 : 0;
}

function full(cell) {
  return cell.dataset.v ?? cell.textContent;
}

function sort(header) {
  const table = header.closest("table"), body = table.tBodies[0], column = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => full(row.cells[column]);
  const rows = [...body.rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");  // what is not known comes last
    return down ? compared(y, x) : compared(x, y);
  });
  body.append(...rows);
}

const named = ["estimator", "first", "second", "best", "rivals"];

function filter() {
  const chosen = [...document.querySelectorAll("#filter input:checked")].map(box => box.value);
  const isOf = text => chosen.some(label => `, ${text}, `.includes(`, ${label}, `));  // rivals are many
  let all = 0, shown = 0;
  for (const table of document.querySelectorAll(".grid table")) {
    const columns = [...table.tHead.rows[0].cells].filter(cell => named.includes(cell.dataset.name));
    for (const row of table.tBodies[0].rows) {
      row.hidden = chosen.length > 0 && !columns.some(head => isOf(full(row.cells[head.cellIndex])));
      all += 1;
      shown += !row.hidden;
    }
  }
  const told = chosen.length ? `${shown} of ${all} rows are shown.` : "";
  document.querySelector("#filter [role=status]").textContent = told;
}

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(table) {
  const line = (cells, value, error) => [...cells].flatMap(cell =>
    error in cell.dataset ? [value(cell), cell.dataset[error]] : [value(cell)]
  ).map(quoted).join(",");
  const lines = [line(table.tHead.rows[0].cells, cell => cell.dataset.name, "error")];
  for (const row of table.tBodies[0].rows) if (!row.hidden) lines.push(line(row.cells, full, "e"));
  return lines.join("\r\n") + "\r\n";
}

async function copy(button, text) {
  const status = button.parentElement.querySelector("[role=status]");
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = "Copied.";
  } catch {
    const area = document.createElement("textarea");  // a browser that keeps the clipboard to itself
    area.value = text;
    document.body.append(area);
    area.select();
    status.textContent = document.execCommand("copy") ? "Copied." : "The browser does not let it be copied.";
    area.remove();
    button.focus();
  }
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(plain).text());
}

const phone = window.matchMedia("screen and (width < 48rem)");

async function draw(box) {
  const layout = box.dataset.layout = phone.matches ? "narrow" : "wide";
  const told = await unpacked(document.getElementById(`spec-${box.dataset.name}`).textContent);
  const specification = {...told.layouts[layout], datasets: told.datasets};
  const live = document.createElement("div");
  live.className = "live coming";
  box.append(live);
  try {
    await window.vegaEmbed(live, specification, {
      actions: false, ast: true, renderer: "svg", defaultStyle: false,
      tooltip: {disableDefaultStyle: true},
    });
  } catch (error) {
    live.remove();  // the still picture stays
    throw error;
  }
  // marks of which there are none: a container without a name says nothing to anybody
  for (const empty of live.querySelectorAll("g[role=graphics-symbol]:not([aria-label])")) {
    empty.setAttribute("aria-hidden", "true");
    empty.removeAttribute("role");
  }
  if (box.dataset.layout !== layout) return live.remove();  // the phone was turned meanwhile
  for (const old of box.querySelectorAll(".still, .live:not(.coming)")) old.remove();
  live.classList.remove("coming");
  box.classList.add("drawn");
}

document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".untick")) {
    for (const box of document.querySelectorAll("#filter input")) box.checked = false;
    filter();
  } else if (button.parentElement.matches("th")) sort(button.parentElement);
  else if (button.matches(".copy")) copy(button, csv(document.getElementById(button.dataset.table)));
  else if (button.matches(".copy-text")) copy(button, document.getElementById(button.dataset.from).textContent);
});

document.getElementById("filter")?.addEventListener("change", filter);

const seen = new IntersectionObserver(entries => {
  for (const entry of entries.filter(entry => entry.isIntersecting)) {
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, {rootMargin: "300px"});
for (const box of document.querySelectorAll(".picture")) seen.observe(box);
phone.addEventListener("change", () => {
  for (const box of document.querySelectorAll(".picture[data-layout]")) draw(box);
});
