<?php
// PHP's SoapClient. Reads the job as JSON, then lines of "count concurrency"; writes "wall cpu" for each.

function cpu_seconds(): float
{
    $usage = getrusage();
    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

$job = json_decode(fgets(STDIN), true);
$client = new SoapClient($job['wsdl'], ['location' => $job['url'], 'cache_wsdl' => WSDL_CACHE_NONE]);
echo $client->sendMesExt($job['fields'])->sendMesExtResult, "\n";
while (($line = fgets(STDIN)) !== false) {
    $count = (int) $line;
    $wall = microtime(true);
    $cpu = cpu_seconds();
    for ($i = 0; $i < $count; $i++) {
        $client->sendMesExt($job['fields']);
    }
    printf("%.6f %.6f\n", microtime(true) - $wall, cpu_seconds() - $cpu);
}
