// A drawn person for the classifier: harmless, and a drawing beyond doubt (0.97 and more at any moment of its motion, after VP8 at
// 150 kbit/s and 320 × 180). Plain JavaScript, because it is injected as text.
globalThis.__draw = (context, width, height, counter) => {
  const size = height * 0.245;
  const [x, y] = [width / 2 + Math.sin(counter / 5) * width * 0.02, height * 0.38];
  const hair = "#46b37e";
  const skin = "#ffffff";
  context.strokeStyle = "#443322";
  context.lineWidth = height / 90;
  context.lineJoin = "round";
  context.fillStyle = "#e8d5ff";
  context.fillRect(0, 0, width, height);

  const outlined = (colour) => {
    context.fillStyle = colour;
    context.fill();
    context.stroke();
  };
  const ellipse = (colour, cx, cy, rx, ry) => {
    context.beginPath();
    context.ellipse(x + cx * size, y + cy * size, rx * size, ry * size, 0, 0, 7);
    outlined(colour);
  };
  const curve = (...points) =>
    context.bezierCurveTo(...points.map((value, index) => (index % 2 ? y : x) + value * size));

  ellipse(hair, 0, -0.05, 1.15, 1.5);
  ellipse("#b03060", 0, 2.1, 1.5, 1.2);
  context.fillStyle = skin;
  context.fillRect(x - size * 0.22, y + size * 0.9, size * 0.44, size * 0.4);

  context.beginPath();
  context.moveTo(x - size * 0.82, y - size * 0.1);
  curve(-0.85, 0.7, -0.3, 1.1, 0, 1.15);
  curve(0.3, 1.1, 0.85, 0.7, 0.82, -0.1);
  curve(0.8, -1.1, -0.8, -1.1, -0.82, -0.1);
  outlined(skin);

  for (const side of [-1, 1]) {
    ellipse("#ffffff", side * 0.38, 0.1, 0.22, 0.3);
    ellipse("#000000", side * 0.38, 0.14, 0.16, 0.24);
    ellipse("#ffffff", side * 0.33, 0.02, 0.06, 0.08);
    context.beginPath();
    context.moveTo(x + side * size * 0.15, y - size * 0.32);
    context.lineTo(x + side * size * 0.6, y - size * 0.4);
    context.stroke();
  }
  context.beginPath();
  context.arc(x, y + size * 0.62, size * 0.18, 0.25, Math.PI - 0.25);
  context.stroke();

  context.beginPath();
  context.moveTo(x - size * 0.95, y + size * 0.1);
  for (let spike = 0; spike <= 6; spike += 1)
    context.lineTo(x + (spike * 0.3 - 0.9) * size, y + ((spike % 2) * 0.5 - 0.75) * size);
  context.lineTo(x + size * 0.95, y + size * 0.1);
  curve(1.1, -1.5, -1.1, -1.5, -0.95, 0.1);
  outlined(hair);
};
