// For pictures of the page: a drawn person in place of the test picture. Nothing is measured with it.
(() => {
  const looks = [
    { wall: ["#f5d9b8", "#e7b48a"], shirt: "#3f5e8c", skin: "#e3b08c", hair: "#4a2f21", long: true },
    { wall: ["#b9dcd2", "#7fb5a6"], shirt: "#c2563f", skin: "#8d5b3e", hair: "#1d1512", long: false },
    { wall: ["#d6cff0", "#a497d8"], shirt: "#2f7d62", skin: "#f0c7a4", hair: "#b8743a", long: true },
    { wall: ["#c8d9ee", "#8fb0d6"], shirt: "#d9a441", skin: "#c98f68", hair: "#2b2b33", long: false },
  ];
  const { id } = globalThis.__media.options;
  const look = looks[(id - 1) % looks.length];

  const draw = (context, width, height, time) => {
    const wall = context.createLinearGradient(0, 0, width, height);
    wall.addColorStop(0, look.wall[0]);
    wall.addColorStop(1, look.wall[1]);
    context.fillStyle = wall;
    context.fillRect(0, 0, width, height);
    // A picture on the wall and a plant, so that the room is somebody's.
    context.fillStyle = "#ffffff88";
    context.fillRect(width * 0.08, height * 0.12, width * 0.16, height * 0.26);
    context.fillStyle = look.shirt;
    context.globalAlpha = 0.35;
    context.beginPath();
    context.arc(width * 0.16, height * 0.28, height * 0.07, 0, 7);
    context.fill();
    context.globalAlpha = 1;
    for (let leaf = 0; leaf < 5; leaf += 1) {
      context.fillStyle = leaf % 2 ? "#3d7a52" : "#2f6342";
      context.beginPath();
      const lean = (leaf - 2) * 0.035 + Math.sin(time / 1500 + leaf) * 0.003;
      context.ellipse(width * (0.87 + lean), height * 0.62, width * 0.018, height * 0.2, lean * 9, 0, 7);
      context.fill();
    }
    context.fillStyle = "#8a5a3c";
    context.fillRect(width * 0.83, height * 0.78, width * 0.08, height * 0.22);

    const sway = Math.sin(time / 900 + id) * width * 0.006;
    const [x, y, size] = [width / 2 + sway, height * 0.44, height * 0.2];
    const ellipse = (colour, cx, cy, rx, ry) => {
      context.fillStyle = colour;
      context.beginPath();
      context.ellipse(cx, cy, rx, ry, 0, 0, 7);
      context.fill();
    };
    if (look.long) ellipse(look.hair, x, y + size * 0.35, size * 1.08, size * 1.5);
    ellipse(look.shirt, x - sway, height * 1.12, size * 2.1, size * 2.25);
    context.fillStyle = look.skin;
    context.fillRect(x - size * 0.3, y + size * 0.6, size * 0.6, size * 0.75);
    ellipse(look.skin, x, y, size * 0.82, size);
    context.fillStyle = look.hair;
    context.beginPath();
    context.ellipse(x, y - size * 0.25, size * 0.92, size * 0.88, 0, Math.PI, 0);
    context.fill();
    if (look.long) {
      ellipse(look.hair, x - size * 0.86, y + size * 0.35, size * 0.2, size * 0.75);
      ellipse(look.hair, x + size * 0.86, y + size * 0.35, size * 0.2, size * 0.75);
    }
    const blink = time % 3700 < 120 ? 0.02 : 0.09;
    for (const side of [-1, 1])
      ellipse("#2a2020", x + side * size * 0.3, y + size * 0.1, size * 0.08, size * blink);
    context.strokeStyle = "#7a3b33";
    context.lineWidth = size * 0.06;
    context.lineCap = "round";
    context.beginPath();
    context.arc(x, y + size * 0.28, size * 0.3, 0.35, Math.PI - 0.35);
    context.stroke();
  };

  const capture = navigator.mediaDevices.getUserMedia;
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await capture(constraints);
    const [old] = stream.getVideoTracks();
    if (!old) return stream;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1280, 720];
    const context = canvas.getContext("2d", { alpha: false });
    const [track] = canvas.captureStream(10).getVideoTracks();
    setInterval(
      () => track.readyState === "live" && draw(context, canvas.width, canvas.height, performance.now()),
      100,
    );
    draw(context, canvas.width, canvas.height, performance.now());
    stream.removeTrack(old);
    old.stop();
    stream.addTrack(track);
    return stream;
  };
})();
