'use strict';
// What a page can do beside being read: select events, zoom, filter. Text reaches the page by textContent alone.
(() => {
  const time = us => us < 1000 ? `${us} µs` : us < 1e6 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`;
  const size = n => n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : n >= 1e4 ? `${Math.round(n / 1e3)} kB` : `${n} B`;
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const CHARACTER = 6.1;

  function picture(figure) {
    const data = JSON.parse(document.getElementById(figure.dataset.trace).textContent);
    const svg = figure.querySelector('svg');
    const inner = svg.querySelector('svg.time');
    const marks = [...svg.querySelectorAll('.mark')];
    const byEvent = new Map(marks.map(mark => [+mark.dataset.event, mark]));
    const lanes = [...svg.querySelectorAll('.names .lane')];
    const first = +svg.dataset.first, apart = +svg.dataset.apart;
    const height = +svg.getAttribute('viewBox').split(' ')[3];
    const view = { from: 0, long: 1000, scale: false, all: false };
    let picked = -1;

    const x = place => (place - view.from) * 1000 / view.long;
    const of = (element, name) => +(view.scale ? element.dataset[name === 'f' ? 'l' : 'el'] : element.dataset[name]);
    const ys = () => {
      let y = first;
      return lanes.map(lane => {
        const here = y;
        if (view.all || !lane.classList.contains('folded')) y += apart;
        return here;
      });
    };

    function draw() {
      const y = ys();
      const more = (Math.max(...y) - first) - (lanes.filter(lane => !lane.classList.contains('folded')).length - 1) * apart;
      const below = view.all ? Math.max(0, more) : 0;
      svg.setAttribute('viewBox', `0 0 1190 ${height + below}`);
      inner.setAttribute('height', height + below);
      inner.setAttribute('viewBox', `-10 0 1020 ${height + below}`);
      for (const group of svg.querySelectorAll('.below')) group.setAttribute('transform', `translate(0,${below})`);
      // A nested svg has no transform everywhere: its place is moved.
      for (const course of svg.querySelectorAll('svg.course')) {
        course.setAttribute('viewBox', `${view.from - 10 * view.long / 1000} 0 ${1.02 * view.long} 24`);
      }
      for (const lane of lanes) lane.setAttribute('transform', `translate(0,${y[+lane.dataset.lane]})`);
      for (const rail of inner.querySelectorAll('.rail')) rail.setAttribute('transform', `translate(0,${y[+rail.dataset.lane]})`);
      for (const bar of inner.querySelectorAll('.bar')) {
        const from = x(of(bar, 'f')), to = x(of(bar, 'ef'));
        bar.setAttribute('x', from);
        bar.setAttribute('width', Math.max(1, to - from));
        bar.setAttribute('transform', `translate(0,${y[+bar.dataset.lane]})`);
      }
      for (const band of inner.querySelectorAll('.band')) {
        const from = x(of(band, 'f')), to = x(of(band, 'ef'));
        const [rect, text] = band.children;
        rect.setAttribute('x', from);
        rect.setAttribute('width', Math.max(0, to - from));
        rect.setAttribute('height', height + below);
        text.setAttribute('x', Math.max(from, -8));
        text.setAttribute('visibility', to - from < text.textContent.length * 6 ? 'hidden' : 'visible');
      }
      let free = -10;
      for (const cut of inner.querySelectorAll('.cuts > g')) {
        const from = x(+cut.dataset.f), to = x(+cut.dataset.ef);
        const rect = cut.querySelector('rect'), text = cut.querySelector('text');
        rect.setAttribute('x', from);
        rect.setAttribute('width', Math.max(0, to - from));
        rect.setAttribute('height', Math.max(...y) + 10);
        text.setAttribute('x', from);
        text.setAttribute('y', Math.max(...y) + 58);
        text.setAttribute('visibility', from < free ? 'hidden' : 'visible');
        if (from >= free) free = from + text.textContent.length * 5.6 + 4;
      }
      for (const ticks of inner.querySelectorAll('.ticks')) {
        ticks.setAttribute('transform', `translate(0,${Math.max(...y) + 28})`);
        for (const tick of ticks.children) tick.setAttribute('transform', `translate(${x(+tick.dataset.f)},0)`);
      }
      for (const mark of marks) {
        const lane = +mark.dataset.lane;
        mark.setAttribute('transform', `translate(${x(of(mark, 'f'))},${y[lane]})`);
        const arrow = mark.querySelector('.arrow');
        if (arrow) {
          const to = y[+mark.dataset.to] - y[lane];
          const down = arrow.dataset.down === 'true';
          arrow.setAttribute('d', down ? `M0 0V${to}m-4 -7l4 7l4 -7` : `M0 ${to}V0m-4 7l4 -7l4 7`);
        }
      }
      label(marks);
      move();
    }

    // Where labels would cover each other, those that say less are not seen.
    function label(some) {
      const taken = lanes.map(() => []);
      for (const mark of [...some].sort((a, b) => rank(a) - rank(b))) {
        const at = x(of(mark, 'f')), lane = +mark.dataset.lane;
        const text = mark.lastElementChild;
        const long = text.textContent.length * CHARACTER + 6;
        const ends = at <= 1010 && at + long > 1010;
        text.setAttribute('text-anchor', ends ? 'end' : 'start');
        text.setAttribute('x', ends ? -5 : 5);
        const left = ends ? at - long : at;
        const covers = taken[lane].some(([from, to]) => left < to && from < left + long);
        mark.classList.toggle('silent', covers);
        if (!covers) taken[lane].push([left, left + long]);
      }
    }

    const rank = mark => mark.classList.contains('picked') ? 0 : mark.classList.contains('wrong') ? 1 : 2;

    function move() {
      const cursor = inner.querySelector('.cursor');
      const mark = byEvent.get(picked);
      cursor.setAttribute('visibility', mark ? 'visible' : 'hidden');
      if (!mark) return;
      const at = x(of(mark, 'f'));
      cursor.setAttribute('x1', at);
      cursor.setAttribute('x2', at);
      // In a narrow window a part of the picture is seen.
      const scroll = figure.querySelector('.scroll');
      const place = (at + 160) / 1190 * scroll.scrollWidth;
      if (place < scroll.scrollLeft || place > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = place - scroll.clientWidth / 2;
    }

    const list = figure.querySelector('.panel.events ol');
    const items = data.events.map((event, n) => {
      const item = make('li', `${time(event.at_us)}  ${event.who || ''} ${event.text}`.slice(0, 300), event.wrong ? 'wrong' : '');
      item.setAttribute('role', 'option');
      item.id = `${figure.dataset.trace}-e${n}`;
      item.setAttribute('aria-selected', 'false');
      item.addEventListener('click', () => pick(n));
      list.append(item);
      return item;
    });
    const scenario = figure.querySelector('.panel.steps ol');
    const steps = data.steps.map((step, n) => {
      const item = make('li', step.text.slice(0, 300));
      item.title = step.line ? `line ${step.line}` : '';
      item.addEventListener('click', () => {
        const found = data.events.findIndex(event => event.step === n);
        if (found >= 0) pick(found);
      });
      scenario.append(item);
      return item;
    });

    function inside(item, box) {
      if (item.offsetTop < box.scrollTop) box.scrollTop = item.offsetTop;
      const low = item.offsetTop + item.offsetHeight - box.clientHeight;
      if (low > box.scrollTop) box.scrollTop = low;
    }

    function pick(n) {
      if (n < 0 || n >= items.length) return;
      const changed = [byEvent.get(picked), byEvent.get(n)].filter(Boolean);
      if (picked >= 0) {
        items[picked].setAttribute('aria-selected', 'false');
        byEvent.get(picked)?.classList.remove('picked');
      }
      picked = n;
      const event = data.events[n];
      items[n].setAttribute('aria-selected', 'true');
      list.setAttribute('aria-activedescendant', items[n].id);
      inside(items[n], list);
      byEvent.get(n)?.classList.add('picked');
      const around = new Set(changed.map(mark => mark.dataset.lane));
      label(marks.filter(mark => around.has(mark.dataset.lane)));
      steps.forEach((item, step) => item.classList.toggle('now', step === event.step));
      if (steps[event.step]) inside(steps[event.step], scenario);
      tell(event);
      const place = byEvent.has(n) ? of(byEvent.get(n), 'f') : 0;
      if (byEvent.has(n) && (place < view.from || place > view.from + view.long)) {
        view.from = Math.min(Math.max(0, place - view.long / 2), 1000 - view.long);
        draw();
      }
      move();
    }

    function tell(event) {
      const box = figure.querySelector('.panel.event div');
      const about = make('dl');
      const say = (name, value) => about.append(make('dt', name), make('dd', value));
      say('when', `${time(event.at_us)} (${event.phase})`);
      say('who', event.who || 'host');
      say('what', event.text.slice(0, 2000));
      if (event.wrong) say('wrong', 'this was not to happen');
      const step = data.steps[event.step];
      if (step) say('step', step.line ? `${step.text.slice(0, 500)} (line ${step.line} of the scenario)` : step.text.slice(0, 500));
      if (event.length !== undefined) say('bytes', String(event.length));
      box.replaceChildren(about);
      if (event.bytes) box.append(make('pre', dump(event.bytes), 'dump'));
      figure.querySelector('.panel.output pre').textContent = printed(event.at_us);
      kernel(event.at_us);
    }

    const figures = at => {
      const before = (data.figures || []).filter(seen => seen.at_us <= at);
      return before[before.length - 1];
    };

    function printed(at) {
      if (!data.output) return '';
      const bytes = decoded(data.output.bytes);
      const all = data.figures || [];
      const upTo = seen => Math.max(0, Math.min(bytes.length, seen.output_bytes - data.output.from_byte));
      const text = (from, to) => new TextDecoder().decode(bytes.slice(Math.max(from, to - 20000), to));
      const known = figures(at), next = all.find(seen => seen.at_us > at);
      const by = known ? upTo(known) : 0;
      // Between two looks it is not known when something was printed.
      const until = next ? upTo(next) : bytes.length;
      const later = until > by ? `\n— and ${next ? `by ${time(next.at_us)}` : 'later'} —\n${text(by, until)}` : '';
      return text(0, by) + later;
    }

    function kernel(at) {
      const box = figure.querySelector('.panel.kernel dl');
      const seen = figures(at);
      box.replaceChildren();
      if (!seen) return;
      const say = (name, value) => box.append(make('dt', name), make('dd', value));
      say('seen', time(seen.at_us));
      if (seen.backlog) say('accept queue', `${seen.accept_queue} of ${seen.backlog}`);
      for (const [state, count] of Object.entries(seen.connections)) say(state, String(count));
      say('bytes unread', size(seen.unread_bytes));
      say('open files', String(seen.open_files));
      say('processes', `${seen.processes}, threads ${seen.threads}`);
      say('memory', size(seen.resident_bytes));
      say('processor time', time(seen.cpu_us));
    }

    function zoom(times, around) {
      const long = Math.min(1000, Math.max(0.5, view.long * times));
      const centre = around === undefined ? view.from + view.long / 2 : around;
      view.from = Math.min(Math.max(0, centre - (centre - view.from) * long / view.long), 1000 - long);
      view.long = long;
      draw();
    }

    const middle = () => byEvent.has(picked) ? of(byEvent.get(picked), 'f') : undefined;
    const actions = {
      in: () => zoom(0.5, middle()),
      out: () => zoom(2, middle()),
      fit: () => { view.from = 0; view.long = 1000; draw(); },
      scale: () => { view.scale = !view.scale; figure.classList.toggle('to-scale', view.scale); press('scale', view.scale); draw(); },
      lanes: () => { view.all = !view.all; figure.classList.toggle('all-lanes', view.all); press('lanes', view.all); draw(); },
    };
    const press = (name, on) => figure.querySelector(`[data-do=${name}]`)?.setAttribute('aria-pressed', String(on));
    figure.querySelectorAll('[data-do]').forEach(button => button.addEventListener('click', actions[button.dataset.do]));
    const wrong = data.events.findIndex(event => event.wrong);
    const last = items.length - 1;
    const keys = {
      ArrowRight: () => pick(Math.min(last, picked + 1)), ArrowDown: () => pick(Math.min(last, picked + 1)),
      ArrowLeft: () => pick(Math.max(0, picked - 1)), ArrowUp: () => pick(Math.max(0, picked - 1)),
      Home: () => pick(0), End: () => pick(last), w: () => wrong >= 0 && pick(wrong),
      '+': actions.in, '-': actions.out, 0: actions.fit, s: () => figure.querySelector('[data-do=scale]') && actions.scale(), l: () => figure.querySelector('[data-do=lanes]') && actions.lanes(),
    };
    for (const place of [figure.querySelector('.scroll'), list]) {
      place.addEventListener('keydown', event => {
        if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
        event.preventDefault();
        keys[event.key]();
      });
    }
    for (const mark of marks) {
      mark.addEventListener('click', () => pick(+mark.dataset.event));
      mark.addEventListener('pointerenter', event => { if (event.pointerType === 'mouse' && event.buttons === 0) hover(+mark.dataset.event); });
    }
    let waiting;
    function hover(n) {
      clearTimeout(waiting);
      waiting = setTimeout(() => pick(n), 120);
    }
    svg.addEventListener('pointerleave', () => clearTimeout(waiting));
    svg.addEventListener('wheel', event => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = inner.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 0.8 : 1.25, view.from + (event.clientX - box.left) / box.width * view.long);
    }, { passive: false });
    figure.querySelector('.tools').hidden = false;
    figure.querySelector('.panels').hidden = false;
    draw();
    pick(wrong >= 0 ? wrong : last);
  }

  function decoded(base64) {
    try {
      return Uint8Array.from(atob(base64 || ''), c => c.charCodeAt(0));
    } catch {
      return new Uint8Array();
    }
  }

  function dump(base64) {
    const bytes = decoded(base64);
    const lines = [];
    for (let at = 0; at < bytes.length; at += 16) {
      const row = [...bytes.slice(at, at + 16)];
      const hex = row.map(byte => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
      const text = row.map(byte => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.').join('');
      lines.push(`${at.toString(16).padStart(4, '0')}  ${hex}  ${text}`);
    }
    return lines.join('\n');
  }

  // A picture is made when it is seen first: a page may have hundreds.
  const made = new WeakSet();
  const see = figure => { if (!made.has(figure)) { made.add(figure); picture(figure); } };
  const near = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(entry => see(entry.target)), { rootMargin: '400px' });
  [...document.querySelectorAll('figure.picture')].forEach((figure, n) => n < 3 && figure.closest('.finding') ? see(figure) : near.observe(figure));

  for (const run of document.querySelectorAll('.run')) {
    const filter = run.querySelector('.filter');
    const input = filter.querySelector('input');
    const buttons = [...filter.querySelectorAll('button')];
    const rows = [...run.querySelectorAll('.check')];
    const texts = rows.map(row => row.textContent.toLowerCase());
    const words = new Set();
    const apply = () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, n) => {
        row.hidden = (words.size > 0 && !words.has(row.dataset.word)) || !wanted.every(word => texts[n].includes(word));
        if (!row.hidden) shown += 1;
      });
      for (const family of run.querySelectorAll('.family')) family.hidden = !family.querySelector('.check:not([hidden])');
      filter.querySelector('output').textContent = `${shown} of ${rows.length}`;
    };
    input.addEventListener('input', apply);
    for (const button of buttons) {
      button.addEventListener('click', () => {
        const on = button.getAttribute('aria-pressed') !== 'true';
        button.setAttribute('aria-pressed', String(on));
        words[on ? 'add' : 'delete'](button.dataset.word);
        apply();
      });
    }
    filter.hidden = false;
    apply();
  }
  document.addEventListener('keydown', event => {
    const typing = event.target.closest('input');
    if (event.key === '/' && !typing) {
      event.preventDefault();
      document.querySelector('.filter input')?.focus();
    } else if (event.key === 'Escape' && typing) {
      typing.value = '';
      typing.dispatchEvent(new Event('input'));
      typing.blur();
    }
  });
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) {
      target.hidden = false;
      target.querySelectorAll('details').forEach(details => { if (target.matches('.check')) details.open = true; });
      target.scrollIntoView();
    }
  };
  addEventListener('hashchange', open);
  open();
  addEventListener('beforeprint', () => document.querySelectorAll('.finding details').forEach(details => { details.open = true; }));
})();
