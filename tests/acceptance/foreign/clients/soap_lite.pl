# Perl's SOAP::Lite. Arguments: the service's address, then 1.1 or 1.2. Reads the fields and writes the
# result, a JSON line each.
use strict;
use warnings;
use JSON::PP;
use SOAP::Lite;

my ($address, $version) = @ARGV;
my $namespace = 'http://tempuri.org/';
$| = 1;
while (my $line = <STDIN>) {
    my $fields = decode_json($line);
    my $soap = SOAP::Lite->soapversion($version)->uri($namespace)->proxy($address)
        ->on_action(sub { "\"$namespace$_[1]\"" });
    my @parameters = map { SOAP::Data->name($_)->type('string')->value($fields->{$_}) }
        sort keys %$fields;
    my $method = SOAP::Data->name('sendMesExt')->attr({ xmlns => $namespace });
    my $result = $soap->call($method, @parameters);
    my $text = $result->fault ? 'fault: ' . $result->faultstring : $result->result;
    print encode_json({ result => $text }), "\n";
}
