// The index, sorted by one of its numbers: a button each, a second press turns the order round.
const buttons = [...document.querySelectorAll(".sort button")];
const body = document.querySelector("table.index tbody");
const listed = [...body.rows];

function sortBy(key, up) {
  const value = (row) => Number(row.dataset[key] ?? NaN);
  const sorted = key === "listed" ? listed : listed.slice().sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    // What has no number stands last, whatever the order; what is equal stays as it is listed.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return up ? x - y : y - x;
  });
  body.append(...sorted);
  for (const button of buttons) {
    const chosen = button.dataset.key === key;
    button.setAttribute("aria-pressed", chosen);
    if (chosen) button.dataset.now = up ? "up" : "down";
  }
  document.getElementById("order").textContent = key === "listed" ? "" : up ? "smallest first" : "largest first";
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    const again = button.getAttribute("aria-pressed") === "true";
    const up = again ? button.dataset.now !== "up" : button.dataset.first === "up";
    sortBy(button.dataset.key, up);
    history.replaceState(null, "", `#${button.dataset.key}${up ? "-up" : ""}`);
  });
}
const [asked, up] = location.hash.slice(1).split("-");
if (buttons.some((button) => button.dataset.key === asked)) sortBy(asked, up === "up");
