// The map: pointing at a point, tapping it, or moving to it with the arrow keys shows its image. Without this script,
// browsers show class and file of a point as a tooltip.
(() => {
  const figure = document.getElementById("map-figure");
  if (!figure) return;
  const part = (name) => document.getElementById(`map-${name}`);
  const plot = part("plot"), card = part("card"), image = part("image");
  const points = [...plot.querySelectorAll("use")];
  const places = points.map((point) => [Number(point.getAttribute("x")), Number(point.getAttribute("y"))]);
  const columns = Number(figure.dataset.columns), tile = 112;
  let shown = -1, focused = 0;
  part("hint").hidden = false;

  function show(index) {
    if (index === shown) return;
    shown = index;
    const point = points[index], [name, file] = point.querySelector("title").textContent.split("\n");
    for (const other of points) other.classList.toggle("same", other.dataset.c === point.dataset.c);
    plot.classList.add("active");
    image.style.backgroundPosition = `${-(index % columns) * tile}px ${-Math.floor(index / columns) * tile}px`;
    image.setAttribute("aria-label", name);
    part("class").textContent = name;
    part("file").textContent = file;
    part("status").textContent = `${name}, ${file}`;
    card.hidden = false;
    // Beside the point, on the side with more room.
    const scale = plot.clientWidth / plot.viewBox.baseVal.width, [x, y] = places[index].map((at) => at * scale);
    const left = x > plot.clientWidth / 2 ? x - card.offsetWidth - 14 : x + 14;
    const top = Math.min(Math.max(y - card.offsetHeight / 2, 0), plot.clientHeight - card.offsetHeight);
    card.style.left = `${Math.max(left, 0)}px`;
    card.style.top = `${Math.max(top, 0)}px`;
  }

  function hide() {
    shown = -1;
    card.hidden = true;
    plot.classList.remove("active");
  }

  function focus(index) {
    points[focused].tabIndex = -1;
    focused = index;
    points[index].tabIndex = 0;
    points[index].focus();
  }

  // The nearest point in a direction: a point aside counts as farther.
  function next([dx, dy]) {
    let best = -1, least = Infinity;
    places.forEach(([x, y], index) => {
      const [a, b] = [x - places[focused][0], y - places[focused][1]];
      const along = a * dx + b * dy, aside = Math.abs(a * dy - b * dx);
      const cost = along + 2 * aside;
      if (along > 0.5 && aside <= along && cost < least) [best, least] = [index, cost];
    });
    return best;
  }

  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const index = (event) => points.indexOf(event.target.closest("use"));
  plot.addEventListener("pointerover", (event) => { if (index(event) >= 0) show(index(event)); });
  plot.addEventListener("click", (event) => { if (index(event) >= 0) focus(index(event)); });
  plot.addEventListener("focusin", (event) => { if (index(event) >= 0) show(index(event)); });
  figure.addEventListener("pointerleave", () => {
    if (!plot.contains(document.activeElement)) hide();
    else show(focused);
  });
  plot.addEventListener("focusout", (event) => { if (!plot.contains(event.relatedTarget)) hide(); });
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(points.length - 1);
    else if (directions[event.key]) {
      const to = next(directions[event.key]);
      if (to >= 0) focus(to);
    } else return;
    event.preventDefault();
  });
})();
