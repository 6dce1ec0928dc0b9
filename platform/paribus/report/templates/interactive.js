
const draw = async script => {
  const still = script.previousElementSibling, place = document.createElement("div");
  const light = getComputedStyle(document.documentElement).colorScheme === "light" ||
    (getComputedStyle(document.documentElement).colorScheme !== "dark" && !matchMedia("(prefers-color-scheme: dark)").matches);
  const options = {mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: {theme: light ? "light" : "dark"}};
  try {
    await vegaEmbed(place, JSON.parse(script.textContent), options);
    // Vega names what it draws by itself; one alternative for the whole picture stays.
    const told = place.querySelector("[aria-roledescription=visualization]") ?? place;
    told.removeAttribute("aria-roledescription");
    told.setAttribute("role", "img");
    told.setAttribute("aria-label", still.getAttribute("aria-label"));
    still.replaceWith(place);
  } catch (error) {
    console.error(error);
  }
};
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target.nextElementSibling);
  }
}, {rootMargin: "300px"});
for (const script of document.querySelectorAll("script.chart")) seen.observe(script.previousElementSibling);
