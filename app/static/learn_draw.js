// Small drawing helpers of the Learn tab.

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text; // never markup: sentences are not ours
  return made;
}

export function arrow([x1, y1], [x2, y2], className, head = 6) {
  const group = svg('g', { class: className });
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const wing = (turn) => `${(x2 - head * Math.cos(angle + turn)).toFixed(2)},${(y2 - head * Math.sin(angle + turn)).toFixed(2)}`;
  group.append(svg('line', { x1, y1, x2, y2 }), svg('polyline', { points: `${wing(0.5)} ${x2},${y2} ${wing(-0.5)}`, fill: 'none' }));
  return group;
}

export function press(root, name, value) {
  for (const button of root.querySelectorAll(`[data-${name}]`)) button.setAttribute('aria-pressed', String(button.dataset[name] === value));
}
