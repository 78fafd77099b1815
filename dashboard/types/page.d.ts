// Types that the scripts of the pages name in JSDoc, checked by `make lint`. Not served: only editors and tsc read this.

/** The point of a series: the start of its bucket in epoch milliseconds, and its value or null. */
interface Point {
  x: number;
  y: number | null;
}

type Labels = Record<string, string>;

/** A series that the server sends, as `SeriesSpec` of dashboard/page_spec.py. */
interface SeriesSpec {
  metric: string;
  stat: string;
  group_by?: string[];
  /** Those with a series of their own; the others have one together. */
  groups?: string[];
}

/** The values of a series for all buckets from `start` of its history on. */
interface HistorySeries {
  metric: string;
  stat: string;
  labels: Labels;
  values: (number | null)[];
}

interface History {
  step_seconds: number;
  start: number;
  series: HistorySeries[];
}

/** The newest buckets of a series, in a tick. */
interface SeriesBuckets {
  metric: string;
  stat: string;
  labels?: Labels;
  points: [number, number | null][];
}

/** Times in epoch milliseconds. */
interface TimeWindow {
  from: number;
  to: number;
}

interface Range {
  name: string;
  seconds: number;
  title: string;
}

/** What dashboard/page_context.py calls `page_settings`. */
interface PageSettings {
  ranges: Range[];
  default_range: string;
  filters: Record<string, string>;
  severities: Record<string, string>;
  colour_order: Record<string, string[]>;
}

interface CatalogueEntry {
  title: string;
  kind: string;
  unit: string;
  help: string;
  worse: "" | "up" | "down";
}

/** The parameters of the address as the server read them: `range`, or `from` and `to`. */
interface PageParams {
  range?: string;
  from?: number;
  to?: number;
  filters: Record<string, string[]>;
  span: string;
  span_before: string;
}

/** A row of `GET /annotations`. */
interface Annotation {
  id: number;
  at: string;
  kind: "deploy" | "config" | "note";
  text: string;
  model_name: string;
  host: string;
}

/** The data of a page, as dashboard/page_views.py makes it. Each page adds its own keys, which its widgets know. */
interface PageData {
  now: number;
  params: PageParams;
  has_events: boolean;
  annotations?: Annotation[];
  history?: History;
  before?: History;
  tables?: Record<string, string>;
  table_versions?: Record<string, string>;
  can: string[];
  [key: string]: any;
}

/** The message of each second. `view`: the figures of the last minute for the filters; null: nothing was measured. */
interface Tick {
  at?: string;
  seq?: number;
  overall?: Record<string, any>;
  view?: Record<string, any>;
  hosts?: any[];
  buckets?: SeriesBuckets[];
  [key: string]: any;
}

/** A change of the address, see `changedQuery` of page/address.js. */
interface AddressChange {
  range?: string;
  from?: number;
  to?: number;
  filters?: Record<string, string[]>;
  set?: Record<string, string | null>;
}

/** A number for people and its unit, which is shown smaller. */
interface Figure {
  number: string;
  unit: string;
}

/** A chart of Chart.js, with what the plugins of charts/plugins.js draw over it. */
type DrawnChart = import("chart.js").Chart<any, any, any> & { overlays?: any };

interface Window {
  Chart: {
    new (target: unknown, config: any): DrawnChart;
    platforms: Record<string, unknown>; defaults: { devicePixelRatio?: number };
  };
}
